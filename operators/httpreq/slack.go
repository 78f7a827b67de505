package httpreq

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gust/operators"
	"gust/triggers/httpreq"
)

// slackHost is where incoming webhooks are unless the connection names another host.
const slackHost = "https://hooks.slack.com/services"

// slackSpec declares the operator that posts to a Slack-compatible incoming webhook.
func slackSpec(client *httpreq.Client) operators.Spec {
	return operators.Spec{
		Name: "SlackWebhookOperator",
		Aliases: []string{
			"slack_webhook",
			"airflow.providers.slack.operators.slack_webhook.SlackWebhookOperator",
		},
		Doc: "Posts a message to an incoming webhook of Slack, or of anything that takes the same JSON (Mattermost, Rocket.Chat).",
		New: func() operators.Operator { return &SlackWebhook{client: client} },
	}
}

// SlackWebhook posts a message (Airflow: SlackWebhookOperator).
type SlackWebhook struct {
	ConnID      string `param:"slack_webhook_conn_id" default:"slack_default" template:"true" doc:"The connection. Its password is the webhook's URL, or the part behind https://hooks.slack.com/services; a host replaces that."`
	Message     string `param:"message" alias:"text" template:"true" doc:"The text. Needed unless there are blocks or attachments."`
	Blocks      []any  `param:"blocks" template:"true" doc:"Slack's block objects."`
	Attachments []any  `param:"attachments" template:"true" doc:"Slack's attachment objects."`
	Channel     string `param:"channel" template:"true" doc:"Another channel than the webhook's own; only legacy webhooks heed it."`
	Username    string `param:"username" template:"true" doc:"The name that is shown; only legacy webhooks heed it."`
	IconEmoji   string `param:"icon_emoji" template:"true" doc:"The icon that is shown; only legacy webhooks heed it."`
	IconURL     string `param:"icon_url" template:"true" doc:"The icon that is shown; only legacy webhooks heed it."`

	client *httpreq.Client
}

// body is the JSON that is posted: what is set, under Slack's names.
func (s *SlackWebhook) body() map[string]any {
	body := map[string]any{}
	for name, text := range map[string]string{
		"text": s.Message, "channel": s.Channel, "username": s.Username, "icon_emoji": s.IconEmoji, "icon_url": s.IconURL,
	} {
		if text != "" {
			body[name] = text
		}
	}
	for name, list := range map[string][]any{"blocks": s.Blocks, "attachments": s.Attachments} {
		if len(list) > 0 {
			body[name] = list
		}
	}
	return body
}

// Execute posts the message.
func (s *SlackWebhook) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	body := s.body()
	if body["text"] == nil && body["blocks"] == nil && body["attachments"] == nil {
		return operators.Result{}, operators.Fail(errors.New("there is nothing to post; give message, blocks or attachments"))
	}
	conn, err := t.Connection(ctx, s.ConnID)
	if err != nil {
		return operators.Result{}, err
	}
	url := conn.PasswordOr("")
	if url == "" {
		return operators.Result{}, operators.Fail(fmt.Errorf("connection %q has no password; it should be the webhook's URL, or "+
			"the part of it behind %s", s.ConnID, slackHost))
	}
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		host := conn.HostOr(slackHost)
		if !strings.Contains(host, "://") {
			host = "https://" + host
		}
		url = strings.TrimSuffix(host, "/") + "/" + strings.TrimPrefix(url, "/")
	}
	_, err = s.client.Do(ctx, t, &httpreq.Request{
		Method: http.MethodPost, Endpoint: url, Data: body, Headers: map[string]string{"Content-Type": "application/json"},
	})
	if err != nil {
		return operators.Result{}, fmt.Errorf("post to the webhook of connection %q: %w", s.ConnID, err)
	}
	return operators.Done(nil), nil
}
