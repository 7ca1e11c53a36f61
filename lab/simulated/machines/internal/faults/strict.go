package faults

import (
	"bytes"
	"encoding/json"
)

// checkKeys rejects a misspelt fault. If it were ignored, a test would pass for the wrong reason.
func checkKeys(raw json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	return decoder.Decode(&Set{})
}
