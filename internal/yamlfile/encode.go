package yamlfile

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"
)

// Encode returns values as the documents of one YAML stream. Values are maps, whose keys are
// sorted, lists, texts, numbers and booleans.
func Encode(docs ...any) (text []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	for _, doc := range docs {
		if err := e.Encode(doc); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), e.Close()
}
