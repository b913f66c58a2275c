package redisd

import (
	"fmt"
	"os"
	"regexp"
)

// Rules are the ACL rules that docs/redis.md gives to whoever runs the bot: lines
// of an ACL file, with PASSWORD where the password goes. Tests take them from
// there, so what is documented is what works.
type Rules struct {
	Default    string // of user default
	Standalone string // also behind Sentinels
	Cluster    string
	Sentinel   string // of the user on the Sentinels themselves
}

var ruleBlock = regexp.MustCompile("(?m)^```acl (default|standalone|cluster|sentinel)\n(user [^\n]+)\n```$")

// ReadRules reads the blocks that are marked as acl from a page.
func ReadRules(path string) (Rules, error) {
	page, err := os.ReadFile(path) //nolint:gosec // of this repository
	if err != nil {
		return Rules{}, err
	}
	found := map[string]string{}
	for _, block := range ruleBlock.FindAllSubmatch(page, -1) {
		found[string(block[1])] = string(block[2])
	}
	rules := Rules{Default: found["default"], Standalone: found["standalone"], Cluster: found["cluster"], Sentinel: found["sentinel"]}
	if rules.Default == "" || rules.Standalone == "" || rules.Cluster == "" || rules.Sentinel == "" {
		return Rules{}, fmt.Errorf("%s should have a block for each of default, standalone, cluster and sentinel", path)
	}
	return rules, nil
}
