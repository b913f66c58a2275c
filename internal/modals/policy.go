package modals

import (
	"errors"
	"fmt"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// CheckPolicy finds what the policy has against what the form asks for, by block ID
// as Check does. Projects are those of the form.
func (in Input) CheckPolicy(policy *approvals.Policy, projects []atlas.Project) map[string]string {
	found := map[string]string{}
	var mixed *approvals.MixedError
	if _, err := policy.Terms(projects); errors.As(err, &mixed) {
		found[blockProject] = fmt.Sprintf("Different people decide on %s and %s. Make a request for each.",
			line(mixed.One.Name, 40), line(mixed.Other.Name, 40))
	}
	for _, project := range projects {
		rule := policy.Of(project)
		if in.Type == nil || rule.Allows(in.Type) {
			continue
		}
		titles := make([]string, 0, len(rule.Types))
		for _, name := range rule.Types {
			if t, ok := atlas.FindType(name); ok {
				titles = append(titles, t.Title)
			}
		}
		found[blockType] = cut(fmt.Sprintf("In %s only these may be updated: %s.", line(project.Name, 40), and(titles)), maxSentence-1)
		break
	}
	return found
}

// NotForYou says at the projects of the form that the person may not ask for
// updates of one of them.
func (in Input) NotForYou(project atlas.Project) map[string]string {
	return map[string]string{blockProject: fmt.Sprintf(
		"You are not among those who may ask for updates of %s. Take it out, or have one of them ask.", line(project.Name, 40))}
}
