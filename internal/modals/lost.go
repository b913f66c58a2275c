package modals

// Lost is what stands in place of a message about a request that the storage no
// longer has, since without it nobody can say how it came out.
func Lost(id string) Message {
	p := &page{}
	p.section(":grey_question: *no longer known*\nThe bot's storage no longer has this request: it was decided long ago, or the storage lost it.")
	p.section("Nothing more will be done for it. If it may have been approved, look in Atlas at what is set; if it is still needed, make a new request.")
	p.context(code(id, 60))
	return p.message()
}
