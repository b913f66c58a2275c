package main

import (
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisTarget is where the bot keeps its requests: one of three kinds of Redis.
type redisTarget struct {
	single   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
}

// kind names the kind for people.
func (t *redisTarget) kind() string {
	switch {
	case t.sentinel != nil:
		return "Sentinel"
	case t.cluster != nil:
		return "Cluster"
	default:
		return "standalone"
	}
}

// user is as whom the bot speaks to the Redis that has its requests; empty: as
// user default.
func (t *redisTarget) user() string {
	user := ""
	switch {
	case t.sentinel != nil:
		user = t.sentinel.Username
	case t.cluster != nil:
		user = t.cluster.Username
	default:
		user = t.single.Username
	}
	if user == "default" {
		return ""
	}
	return user
}

// client makes a client that keeps to the deadline of a context, which go-redis
// by default does not, and that asks the server for nothing beyond plain Redis.
func (t *redisTarget) client() redis.UniversalClient {
	plain := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case t.sentinel != nil:
		o := *t.sentinel // go-redis sends nothing extra to a primary that Sentinels name
		o.ContextTimeoutEnabled = true
		return redis.NewFailoverClient(&o)
	case t.cluster != nil:
		o := *t.cluster
		o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, plain
		// A node that refuses connections does not make go-redis ask who took over
		// (its issue 3979): without this, the bot would stand still for a minute.
		o.ClusterStateReloadInterval = time.Second
		return redis.NewClusterClient(&o)
	default:
		o := *t.single
		o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, plain
		return redis.NewClient(&o)
	}
}

// parseRedisURL reads the forms that go-redis documents. Which of them a URL has
// its query says: master_name makes it Sentinel's, addr without it a Cluster's.
// The error does not quote the URL, which may hold a password.
func parseRedisURL(address string) (*redisTarget, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("is not a URL: characters such as @ : / # % in a password must be percent-encoded")
	}
	query := u.Query()
	for _, name := range []string{"read_only", "replica_only", "route_by_latency", "route_randomly", "use_disconnected_replicas"} {
		if query.Has(name) {
			return nil, errors.New("must not hold the option " + name + ": a replica may not know yet what was decided")
		}
	}
	files, err := takeCertificates(u)
	if err != nil {
		return nil, err
	}
	if files != (certificates{}) {
		address = u.String()
	}
	t := &redisTarget{}
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return nil, errors.New("must begin with redis://, rediss:// or unix://")
	case query.Has("master_name"):
		if query.Get("master_name") == "" {
			return nil, errors.New("has an empty master_name: give the name that the Sentinels know the primary by")
		}
		t.sentinel, err = redis.ParseFailoverURL(address)
	case query.Has("addr"):
		if db := strings.Trim(u.Path, "/"); db != "" && db != "0" {
			return nil, errors.New("names a database: a Cluster has only database 0")
		}
		t.cluster, err = redis.ParseClusterURL(address)
	default:
		t.single, err = redis.ParseURL(address)
	}
	if err != nil {
		return nil, errors.New("is not a URL that go-redis takes: look at the database number after the host, at the names and values of " +
			"its options, and that each addr is host:port")
	}
	if err := t.secure(files); err != nil {
		return nil, err
	}
	return t, nil
}

// secure completes how to speak TLS, where the URL asks for it.
func (t *redisTarget) secure(files certificates) error {
	var config *tls.Config
	switch {
	case t.sentinel != nil:
		config = t.sentinel.TLSConfig
	case t.cluster != nil:
		config = t.cluster.TLSConfig
	default:
		config = t.single.TLSConfig
	}
	if config == nil {
		return nil
	}
	config.MinVersion = tls.VersionTLS12
	if t.single == nil {
		// go-redis would hold every node to the name of the first one. Without a
		// name, each is held to the address it is called at.
		config.ServerName = ""
	}
	return files.use(config)
}

func checkRedisURL(value string) string {
	if _, err := parseRedisURL(value); err != nil {
		return err.Error()
	}
	return ""
}
