package events

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"gust/connections"
	"gust/connections/awsconn"
)

// Place is where a queue is, as its URL tells.
type Place struct {
	// Endpoint is where its requests go; Region is "" when the URL does not say.
	Endpoint, Region string
}

// regions find the region in the host of a queue's URL, in the forms that AWS has given them: sqs.eu-west-1.amazonaws.com,
// eu-west-1.queue.amazonaws.com, sqs.eu-west-1.api.aws, vpce-...sqs.eu-west-1.vpce.amazonaws.com.
var regions = regexp.MustCompile(`(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+-\d+)\.|^([a-z0-9-]+-\d+)\.queue\.`)

// PlaceOf reads a queue's URL.
func PlaceOf(queueURL string) (Place, error) {
	u, err := url.Parse(queueURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(u.Path) < 2 {
		return Place{}, fmt.Errorf("got %q; expected the URL of an SQS queue, such as "+
			"https://sqs.eu-west-1.amazonaws.com/123456789012/gust-events (`gust sfn events-template` makes one)", queueURL)
	}
	p := Place{Endpoint: u.Scheme + "://" + u.Host}
	if m := regions.FindStringSubmatch(u.Hostname()); m != nil {
		p.Region = m[1] + m[2]
	}
	return p, nil
}

// patience is more than SQS holds a call.
const patience = (longPoll + 10) * time.Second

// FromPool makes the clients of a queue with a connection's credentials and settings. Requests go to the host of the
// queue's URL, whatever endpoint the connection has for Step Functions.
func FromPool(p *awsconn.Pool, r connections.Resolver, params awsconn.Params, place Place) func(context.Context) (Queue, error) {
	if params.RegionName == "" {
		params.RegionName = place.Region
	}
	params.Patience = max(params.Patience, patience)
	return func(ctx context.Context) (Queue, error) {
		cfg, _, err := p.Config(ctx, r, params, "sqs")
		if err != nil {
			return nil, err
		}
		return sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = &place.Endpoint }), nil
	}
}
