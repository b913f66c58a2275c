// Package atlassim stands in for the MongoDB Atlas Admin API on a loopback
// address: projects, their third-party integrations, service accounts, API keys,
// rate limits, and the bad days of all of them. It keeps what it is told, refuses
// what Atlas refuses, masks what Atlas masks, and lets a test ask what it really
// holds.
//
// It is not a mock of a client and shares no code with one: the rules of Atlas
// stand here a second time, so that a mistake of ours is not made twice the same
// way. Where it is unknown what Atlas does, the stand-in does what hurts a careless
// client most, or what [Quirks] says.
//
// A world is empty at first:
//
//	srv, err := atlassim.New(atlassim.Options{})
//	if err != nil { … }
//	defer srv.Close()
//	err = atlassim.DefaultWorld(srv) // or srv.AddProject and srv.Seed
//
// A bad day is asked for by name, and a test sees the effect:
//
//	late := srv.Fail(atlassim.Match{Method: "PUT", Type: "DATADOG"}, atlassim.Fault{Kind: atlassim.HangAfterApply}, 1)
//	…
//	err = late.Wait(ctx, 1) // the change is stored, the client waits for its answer
//	held, ok := srv.Integration(projectID, "DATADOG")
package atlassim
