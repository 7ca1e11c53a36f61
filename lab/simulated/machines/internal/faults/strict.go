package faults

import (
	"bytes"
	"encoding/json"
)

// checkKeys refuses a misspelt fault: one that silently does nothing would make a test pass for the wrong reason.
func checkKeys(raw json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	return decoder.Decode(&Set{})
}
