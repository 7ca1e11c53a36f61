package machine

import (
	"fmt"
	"time"
)

// consoleLines is how many lines of a machine's console are kept.
const consoleLines = 2000

// Console is the console output of a machine since it was switched on.
type Console struct {
	lines   []ConsoleLine
	dropped int
}

// ConsoleLine is one line of the console.
type ConsoleLine struct {
	At   time.Time
	Text string
}

func (c *Console) printf(now time.Time, format string, args ...any) {
	c.lines = append(c.lines, ConsoleLine{At: now, Text: "[talos] " + fmt.Sprintf(format, args...)})

	if over := len(c.lines) - consoleLines; over > 0 {
		c.lines, c.dropped = c.lines[over:], c.dropped+over
	}
}

// since returns the lines after the first n ever written, and how many were ever written.
func (c *Console) since(n int) ([]ConsoleLine, int) {
	from := min(max(n-c.dropped, 0), len(c.lines))

	return append([]ConsoleLine(nil), c.lines[from:]...), c.dropped + len(c.lines)
}
