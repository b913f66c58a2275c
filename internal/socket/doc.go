// Package socket keeps standing Socket Mode connections to Slack and hands what
// they deliver to one handler. Several stand at a time, and a new one is open
// before an old one goes, so that nothing falls into a gap. It knows nothing of
// what the payloads mean, and never logs one.
package socket
