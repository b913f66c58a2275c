// Package deploy holds no code. Its tests look at what the chart renders as a
// cluster would: whether the strictest level of Pod Security lets its pods in, and
// whether the bot works as its pod, with that environment, those files and that
// user, and nothing else.
package deploy
