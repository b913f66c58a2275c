//go:build unix

package sandbox

import "syscall"

// apart keeps the bot out of the terminal's process group: Ctrl-C reaches the
// sandbox alone, which then lets the bot finish what it is at.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
