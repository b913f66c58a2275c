package drive

import "time"

// Figures are what was seen of a bot while it was measured.
type Figures struct {
	Acks  map[string][]time.Duration // by the type of the payload
	Puts  []time.Duration            // from a click on Approve to its PUT
	Flows []time.Duration            // from the command to the card that says that it is applied
	Again int                        // what people did again: a command without a form, a submission that was not taken
}

func (f *Figures) acked(about string, took time.Duration) {
	if f.Acks == nil {
		f.Acks = map[string][]time.Duration{}
	}
	f.Acks[about] = append(f.Acks[about], took)
}

func (f *Figures) put(took time.Duration)  { f.Puts = append(f.Puts, took) }
func (f *Figures) flow(took time.Duration) { f.Flows = append(f.Flows, took) }
