package labproc

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Socket is one TCP or UDP socket: its local and its remote address.
type Socket struct{ Local, Remote netip.AddrPort }

// Sockets returns the sockets of a process, so that a test can prove that none leaves loopback.
func Sockets(pid int) []Socket {
	inodes := socketInodes(pid)

	var sockets []Socket

	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}

		for lines := bufio.NewScanner(file); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) > 9 && inodes[fields[9]] {
				sockets = append(sockets, Socket{Local: address(fields[1]), Remote: address(fields[2])})
			}
		}

		_ = file.Close() // it was only read
	}

	return sockets
}

func socketInodes(pid int) map[string]bool {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return nil
	}

	inodes := map[string]bool{}

	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}

	return inodes
}

// address parses the kernel's format, 0100007F:1F90: words in the machine's byte order, here
// little-endian.
func address(text string) netip.AddrPort {
	host, port, _ := strings.Cut(text, ":")

	raw, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}
	}

	for word := 0; word+4 <= len(raw); word += 4 {
		binary.BigEndian.PutUint32(raw[word:], binary.LittleEndian.Uint32(raw[word:]))
	}

	number, err := strconv.ParseUint(port, 16, 16)
	ip, ok := netip.AddrFromSlice(raw)

	if err != nil || !ok {
		return netip.AddrPort{}
	}

	return netip.AddrPortFrom(ip.Unmap(), uint16(number))
}
