// Command bareloop is a floor to measure bots against: it keeps Socket Mode
// connections and acks whatever comes, at once and empty. It does nothing else.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
)

const connections = 2 // as many as the bot has

func main() {
	api := slack.New("", slack.OptionAppLevelToken(os.Getenv("SLACK_APP_TOKEN")), slack.OptionAPIURL(os.Getenv("SLACK_API_URL")))
	ended := make(chan error)
	for range connections {
		go func() { ended <- ack(api) }()
	}
	log.Fatal(<-ended)
}

// ack answers what comes over one connection until it ends.
func ack(api *slack.Client) error {
	_, address, err := api.StartSocketModeContext(context.Background())
	if err != nil {
		return err
	}
	ws, response, err := websocket.DefaultDialer.Dial(address, nil)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	for {
		var envelope struct {
			ID string `json:"envelope_id"`
		}
		_, data, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if json.Unmarshal(data, &envelope) != nil || envelope.ID == "" {
			continue // hello
		}
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"`+envelope.ID+`"}`)); err != nil {
			return err
		}
	}
}
