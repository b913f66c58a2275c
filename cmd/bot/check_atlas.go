package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

const (
	// mostProjects bounds how many projects are looked at one by one when all that
	// the credentials see are offered.
	mostProjects = 50
	// projectsAtOnce stays far from the rate limits of Atlas.
	projectsAtOnce = 4
)

// checkAtlas looks at the credentials and at each project that may be changed.
func checkAtlas(ctx context.Context, r *report, cfg *config) {
	client, err := cfg.atlasClient(nil, nil)
	if err != nil {
		r.add(failure, "atlas credentials", err.Error(), "")
		return
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
		defer cancel()
		_ = client.Close(ending) // the token ends by itself within the hour
	}()
	asking, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	seen, err := client.Projects(asking)
	if err != nil {
		r.add(failure, "atlas credentials", err.Error(), mendAtlas(err))
		return // every project would say the same
	}
	r.ok("atlas credentials", "%s, sees %s", cfg.atlasLogin(), count(len(seen), "project"))
	checkAllowed(ctx, r, client, cfg.AtlasProjects, seen)
	checkCovered(r, cfg, seen)
}

// checkCovered finds rules of the policy that hold for no project: a project may have
// got another name, and then it is under another rule.
func checkCovered(r *report, cfg *config, seen []atlas.Project) {
	if len(cfg.AtlasProjects) > 0 {
		seen = cfg.AtlasProjects
	}
	policy := cfg.policies()
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		n := 0
		for _, project := range seen {
			if policy.Of(project) == rule {
				n++
			}
		}
		if n == 0 {
			r.add(doubt, "policy "+rule.Name+" projects", "it holds for no project", "look at the names of its projects, or use IDs; the first rule that covers a project holds")
			continue
		}
		r.ok("policy "+rule.Name+" projects", "holds for %s", count(n, "project"))
	}
}

// checkAllowed looks at the projects that may be changed: those listed, else all
// that the credentials see.
func checkAllowed(ctx context.Context, r *report, client *atlas.Client, allowed, seen []atlas.Project) {
	switch {
	case len(allowed) == 0 && len(seen) == 0:
		r.add(failure, "atlas projects", "none", "give the credentials the role Project Owner in the projects that the bot may change")
		return
	case len(allowed) == 0:
		allowed = seen[:min(len(seen), mostProjects)]
		if len(seen) > mostProjects {
			r.add(doubt, "atlas projects", fmt.Sprintf("only the first %d of %d are looked at", mostProjects, len(seen)),
				"name those that the bot may change in MONGODB_ATLAS_PROJECTS")
		}
	}
	found := make([]projectFinding, len(allowed))
	var looking errgroup.Group
	looking.SetLimit(projectsAtOnce)
	for i, p := range allowed {
		looking.Go(func() error {
			found[i] = lookAt(ctx, client, p)
			return nil
		})
	}
	_ = looking.Wait() // they report in found
	for i, f := range found {
		r.add(f.grade, "project "+allowed[i].Name, f.found, f.mend)
	}
}

type projectFinding struct {
	grade       grade
	found, mend string
}

// lookAt reads a project and its integrations, which takes Project Read Only, and tries
// whether the role is Project Owner, which a change takes.
func lookAt(ctx context.Context, client *atlas.Client, p atlas.Project) projectFinding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	known, err := client.Project(ctx, p.ID)
	if err != nil {
		return projectFinding{failure, err.Error(), mendAtlas(err)}
	}
	shown, err := client.Integrations(ctx, p.ID)
	if err != nil {
		return projectFinding{failure, err.Error(), mendAtlas(err)}
	}
	note := ""
	if known.Name != p.Name {
		note = fmt.Sprintf("Atlas calls it %q; ", known.Name)
	}
	note += "readable, " + count(len(shown), "integration")
	var refusal *atlas.Error
	switch err := client.TryRole(ctx, p.ID); {
	case err == nil:
		return projectFinding{fine, note + ", Project Owner", ""}
	case errors.As(err, &refusal) && refusal.OfRole():
		return projectFinding{failure, note + ", but the role is not Project Owner", refusal.Advice()}
	default:
		note += "; whether the role is Project Owner Atlas did not say (" + err.Error() + ")"
		return projectFinding{doubt, note, "look at it under Access Manager in the project"}
	}
}

// mendAtlas says what to do about an error of the Atlas client.
func mendAtlas(err error) string {
	var refusal *atlas.Error
	if errors.As(err, &refusal) {
		return refusal.Advice()
	}
	return "look at MONGODB_ATLAS_BASE_URL and at the way out to it (DNS, proxy, firewall), or try again in a minute"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
