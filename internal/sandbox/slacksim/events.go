package slacksim

import (
	"context"
	"errors"
	"strings"
	"time"
)

// retries are the pauses before an event that was not acked is sent again.
var retries = []time.Duration{0, time.Minute, 5 * time.Minute}

// OpenHome opens the app's Home tab and waits until the app has acked the event,
// or has not done so four times.
func (p *Person) OpenHome(ctx context.Context) error {
	s := p.s
	s.mu.Lock()
	event := object{
		"type": "app_home_opened", "user": p.id, "channel": dmOf(p.id), "tab": "home", "event_ts": s.stamp(),
	}
	if v := s.homes[p.id]; v != nil {
		event["view"] = v.payload(v.values())
	}
	s.mu.Unlock()
	return s.publish(ctx, event)
}

// publish sends an event to the app, again and again as Slack does.
func (s *Server) publish(ctx context.Context, event object) error {
	payload := object{
		"token": "ignored", "team_id": TeamID, "api_app_id": AppID, "type": "event_callback",
		"event_id": "Ev0" + strings.ToUpper(random(4)), "event_time": s.clock.Now().Unix(),
		"authorizations": []any{object{
			"enterprise_id": nil, "team_id": TeamID, "user_id": BotUserID, "is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": false, "event": event,
	}
	reason := ""
	for attempt := 0; ; attempt++ {
		e := s.send("events_api", payload, false, object{"retry_attempt": attempt, "retry_reason": reason})
		_, err := s.await(ctx, e)
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, errClosed):
			return err
		case attempt == len(retries):
			return &DeliveryError{Type: "events_api", Err: err}
		}
		reason = "timeout"
		if !s.clock.reach(ctx, s.clock.Now().Add(retries[attempt]), s.ctx.Done()) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errClosed
		}
	}
}
