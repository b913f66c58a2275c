// Package house holds no code. Its tests hold together what no other package
// could see: which package may import which, that the Slack manifest asks for
// what the bot uses, and that the documents say what the code does.
package house
