// Package web is the page of the sandbox: two people at their Slack, what Atlas
// holds, what happened, and bad days as buttons. It draws the very JSON that the
// bot sent and hands what people do to the stand-ins. It is no Slack client: it
// knows the blocks that the bot uses, and says so where it does not know one.
package web
