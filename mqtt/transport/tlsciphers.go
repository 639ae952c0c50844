package transport

import (
	"crypto/tls"
	"slices"
	"strconv"
	"strings"
)

// cipherNames are the TLS 1.2 cipher suites of crypto/tls by OpenSSL's names,
// best first.
var cipherNames = [...]struct {
	openSSL string
	id      uint16
}{
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA},
	{"ECDHE-RSA-DES-CBC3-SHA", tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA},
	{"DES-CBC3-SHA", tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA},
}

// ParseCiphers parses a list of cipher suites for TLS 1.2 by OpenSSL's or
// IANA's names, separated by colons, commas or blanks. DEFAULT, HIGH and ALL
// stand for the default of crypto/tls. Words with '!' or '-' remove a suite if
// they name one; otherwise they are ignored, as they are about suites that are
// never used here. The suites of TLS 1.3 cannot be chosen. The error is an
// [*Error] of kind BadOption.
func ParseCiphers(list string) ([]uint16, error) {
	var ids, without []uint16
	fail := func(text, hint string) error { return &Error{Op: OpTLS, Kind: BadOption, Text: text, Hint: hint} }
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ", r) }) {
		bare := strings.TrimLeft(word, "!-+")
		id, known := findCipherName(bare)
		switch {
		case word[0] == '@' || word[0] == '+': // an order; crypto/tls has its own
		case word[0] == '!' || word[0] == '-':
			if known {
				without = append(without, id)
			}
		case known:
			ids = append(ids, id)
		case strings.EqualFold(bare, "DEFAULT"), strings.EqualFold(bare, "HIGH"), strings.EqualFold(bare, "ALL"):
			for _, s := range tls.CipherSuites() {
				if !slices.Contains(s.SupportedVersions, tls.VersionTLS13) {
					ids = append(ids, s.ID)
				}
			}
		case isTLS13Cipher(bare):
			return nil, fail("cipher suites of TLS 1.3 such as "+bare+" cannot be chosen", "omit them; they are always enabled")
		default:
			return nil, fail("unknown cipher suite "+strconv.Quote(bare), "name suites as OpenSSL does: ECDHE-RSA-AES128-GCM-SHA256")
		}
	}
	ids = slices.DeleteFunc(ids, func(id uint16) bool { return slices.Contains(without, id) })
	if len(ids) == 0 {
		return nil, fail("no cipher suite in the list", "name suites as OpenSSL does: ECDHE-RSA-AES128-GCM-SHA256")
	}
	return ids, nil
}

func findCipherName(name string) (uint16, bool) {
	for _, c := range cipherNames {
		if strings.EqualFold(c.openSSL, name) || strings.EqualFold(tls.CipherSuiteName(c.id), name) {
			return c.id, true
		}
	}
	return 0, false
}

func isTLS13Cipher(name string) bool {
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS13) && strings.EqualFold(s.Name, name) {
			return true
		}
	}
	return false
}
