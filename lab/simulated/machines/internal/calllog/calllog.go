// Package calllog records every call that a simulated machine executed, one JSON object per line.
//
// The log is the evidence that a second run changes nothing. No decision rests on it.
package calllog

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// Call is one executed gRPC call.
type Call struct {
	Time time.Time `json:"time"`
	// Node is the machine that executed the call.
	Node string `json:"node"`
	// Endpoint is the address that the client used, or "machined" for a machine's own health
	// checks.
	Endpoint string `json:"endpoint"`
	Method   string `json:"method"`
	Mutating bool   `json:"mutating"`
	Code     string `json:"code"`
	Desc     string `json:"desc"`
}

// Log appends calls to a file.
type Log struct {
	mu   sync.Mutex
	file *os.File
}

// Open opens the log for appending, so calls from before a restart are kept.
func Open(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the call log: %w", err)
	}

	return &Log{file: file}, nil
}

// Append writes one call. A single write keeps lines whole even if the process is killed.
func (l *Log) Append(call Call) error {
	line, err := json.Marshal(call)
	if err != nil {
		return fmt.Errorf("cannot encode a call of %s: %w", call.Method, err)
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("cannot write the call log: %w", err)
	}

	return nil
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
