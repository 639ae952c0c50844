package result

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// HdrHistogram's V2 format, for the one layout: base64 of a cookie, a length and a zlib
// stream of
//
//	cookie, payload length, 0, significant digits   4 bytes each
//	lowest value, highest value                     8 bytes each
//	1.0                                             8 bytes
//	counts of all buckets up to the last that is not zero, and for a run of
//	zeros its negative length, as zigzag varints
//
// The library's encoder creates a compressor of 800 kB, at the best and slowest level,
// for each histogram. Here one serves a whole file, which takes a fifth of the time,
// and the decoder allocates for this layout only.
const (
	cookie           = 0x1c849303 | 0x10
	compressedCookie = 0x1c849304 | 0x10
	codecHeader      = 40

	halfBuckets = 1024            // buckets per power of two, for three digits
	numBuckets  = 1024 * (18 + 2) // up to highestRecorded
	maxCount    = 1<<55 - 1       // of a bucket: varints of up to 8 bytes
)

// bucketOf returns the index of a value's bucket, and lowestOf the lowest value of a
// bucket.
func bucketOf(v int64) int64 {
	shift := max(0, bits.Len64(uint64(v))-11)
	return int64(shift)*halfBuckets + v>>shift
}

func lowestOf(bucket int64) int64 {
	shift := max(0, bucket/halfBuckets-1)
	return (bucket - shift*halfBuckets) << shift
}

// encoder encodes histograms one after the other.
type encoder struct {
	plain, packed bytes.Buffer
	z             *zlib.Writer
}

func (e *encoder) encode(h *Histogram) (string, error) {
	e.plain.Reset()
	header := [codecHeader]byte{32: 0x3f, 33: 0xf0} // 1.0
	binary.BigEndian.PutUint32(header[0:], cookie)
	binary.BigEndian.PutUint32(header[12:], digits)
	binary.BigEndian.PutUint64(header[16:], lowest)
	binary.BigEndian.PutUint64(header[24:], highest)
	e.plain.Write(header[:])
	next, large := int64(0), false
	h.h.ForEachBucket(func(v, n int64) bool {
		bucket := bucketOf(v)
		switch zeros := bucket - next; {
		case zeros == 1:
			e.plain.WriteByte(0)
		case zeros > 1:
			e.plain.Write(binary.AppendVarint(e.plain.AvailableBuffer(), -zeros))
		}
		e.plain.Write(binary.AppendVarint(e.plain.AvailableBuffer(), n))
		next = bucket + 1
		large = large || n > maxCount
		return true
	})
	if large {
		return "", errors.New("a count of more than 2^55")
	}
	plain := e.plain.Bytes()
	binary.BigEndian.PutUint32(plain[4:], uint32(len(plain)-codecHeader))

	e.packed.Reset()
	e.packed.Write(make([]byte, 8))
	if e.z == nil {
		e.z = zlib.NewWriter(&e.packed)
	} else {
		e.z.Reset(&e.packed)
	}
	if _, err := e.z.Write(plain); err != nil {
		return "", err
	}
	if err := e.z.Close(); err != nil {
		return "", err
	}
	packed := e.packed.Bytes()
	binary.BigEndian.PutUint32(packed[0:], compressedCookie)
	binary.BigEndian.PutUint32(packed[4:], uint32(len(packed)-8))
	return base64.StdEncoding.EncodeToString(packed), nil
}

// decoder decodes histograms one after the other.
type decoder struct {
	text  strings.Reader
	z     io.ReadCloser
	plain bytes.Buffer
	dense *hdr.Histogram // faster to fill than a sparse one
}

// errBroken is returned for data that cannot be unpacked.
var errBroken = errors.New("cut off or damaged")

// decode decodes a histogram of this layout and refuses any other.
func (d *decoder) decode(encoded string) (*Histogram, error) {
	d.text.Reset(encoded)
	packed := base64.NewDecoder(base64.StdEncoding, &d.text)
	var b [codecHeader]byte
	if _, err := io.ReadFull(packed, b[:8]); err != nil {
		return nil, errBroken
	}
	// Some writers put another word size into the cookie's upper digit.
	if c := binary.BigEndian.Uint32(b[:]) &^ 0xf0; c != compressedCookie&^0xf0 {
		return nil, fmt.Errorf("not HdrHistogram's V2 format: it begins with %#x", c)
	}
	var err error
	if d.z == nil {
		d.z, err = zlib.NewReader(packed)
	} else {
		err = d.z.(zlib.Resetter).Reset(packed, nil)
	}
	if err != nil {
		return nil, errBroken
	}
	if _, err := io.ReadFull(d.z, b[:]); err != nil {
		return nil, errBroken
	}
	length := int64(binary.BigEndian.Uint32(b[4:]))
	digitCount, low, high := int32(binary.BigEndian.Uint32(b[12:])), int64(binary.BigEndian.Uint64(b[16:])), int64(binary.BigEndian.Uint64(b[24:]))
	switch {
	case binary.BigEndian.Uint32(b[:])&^0xf0 != cookie&^0xf0:
		return nil, errors.New("not HdrHistogram's V2 format")
	case low != lowest || high != highest || digitCount != digits:
		return nil, fmt.Errorf("its layout is %d to %d with %d digits, not %d to %d with %d", low, high, digitCount, lowest, highest, digits)
	case length > numBuckets*binary.MaxVarintLen64:
		return nil, fmt.Errorf("%d bytes of counts", length)
	}
	d.plain.Reset()
	n, err := io.Copy(&d.plain, io.LimitReader(d.z, length+1))
	if err != nil {
		return nil, errBroken
	}
	if n != length {
		return nil, fmt.Errorf("the counts take %d bytes or more, not %d", n, length)
	}
	return d.counts(d.plain.Bytes())
}

func (d *decoder) counts(b []byte) (*Histogram, error) {
	if d.dense == nil {
		d.dense = hdr.New(lowest, highest, digits)
	}
	d.dense.Reset()
	for bucket := int64(0); len(b) > 0; {
		n, size := binary.Varint(b)
		if size <= 0 || n > maxCount || n < -numBuckets {
			return nil, errors.New("a broken count")
		}
		b = b[size:]
		if n < 0 {
			bucket -= n
			continue
		}
		if n > 0 {
			v := lowestOf(bucket)
			if v > highest {
				return nil, fmt.Errorf("a value of %d us", v)
			}
			if err := d.dense.RecordValues(v, n); err != nil {
				return nil, err
			}
		}
		bucket++
	}
	h := NewHistogram()
	h.h.MergeFrom(d.dense)
	return h, nil
}
