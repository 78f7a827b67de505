package statemachine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/internal/param"
	"gust/operators"
)

// latest is the version published now, in alias_routing.
const latest = "latest"

// aliasName is AWS's rule for the name of an alias; digits alone would be a version.
var (
	aliasName = regexp.MustCompile(`^[a-zA-Z0-9_\-.]{1,80}$`)
	notDigits = regexp.MustCompile(`[a-zA-Z_\-.]`)
)

// publishes reports whether a version is published.
func (d *Deploy) publishes() bool {
	if d.Publish != nil {
		return *d.Publish
	}
	if d.Alias == "" {
		return false
	}
	_, newest := d.AliasRouting[latest]
	return newest || len(d.AliasRouting) == 0
}

func (d *Deploy) checkAlias() error {
	var problems []error
	wrong := func(name, format string, args ...any) {
		problems = append(problems, &param.Error{Path: []string{name}, Problem: fmt.Sprintf(format, args...)})
	}
	if d.Alias != "" && !(aliasName.MatchString(d.Alias) && notDigits.MatchString(d.Alias)) {
		wrong("alias", "%q is not the name of an alias: letters, digits, _, - and ., at most 80, and not digits alone", d.Alias)
	}
	if d.AliasWeight < 0 || d.AliasWeight > 100 {
		wrong("alias_weight", "%d is not a percentage from 0 to 100", d.AliasWeight)
	}
	if len([]rune(d.VersionDescription)) > 256 {
		wrong("version_description", "it is longer than 256 characters")
	}
	if len(d.AliasRouting) == 0 {
		if d.Publish != nil && !*d.Publish && d.Alias != "" {
			wrong("publish", "an alias needs a version; publish one, or say with alias_routing which ones it routes to")
		}
		return errors.Join(problems...)
	}
	sum := 0
	for _, version := range slices.Sorted(maps.Keys(d.AliasRouting)) {
		sum += d.AliasRouting[version]
		if n, err := strconv.Atoi(version); version != latest && (err != nil || n < 1) {
			wrong("alias_routing", "%q is not a version; expected a number, or %s", version, latest)
		}
	}
	if sum != 100 || len(d.AliasRouting) > 2 {
		wrong("alias_routing", "%d versions with weights that sum to %d; expected one or two, and 100", len(d.AliasRouting), sum)
	}
	if d.AliasWeight != 100 {
		wrong("alias_routing", "it excludes alias_weight")
	}
	if _, newest := d.AliasRouting[latest]; newest && !d.publishes() {
		wrong("alias_routing", "%s needs publish: true", latest)
	}
	return errors.Join(problems...)
}

// publish publishes the revision that was found or made. A revision that has a version keeps it: Step Functions answers
// with that one.
func (w *deployment) publish(ctx context.Context, d *deployed) (arn string, err error) {
	in := &sfn.PublishStateMachineVersionInput{
		StateMachineArn: aws.String(d.StateMachineARN), RevisionId: aws.String(cmp.Or(d.RevisionID, "INITIAL")),
	}
	if w.VersionDescription != "" {
		in.Description = aws.String(w.VersionDescription)
	}
	err = w.repeat(ctx, "PublishStateMachineVersion", nil, func() error {
		out, err := w.api.PublishStateMachineVersion(ctx, in)
		if err == nil {
			arn = aws.ToString(out.StateMachineVersionArn)
		}
		return err
	})
	if is[*types.ConflictException](err) {
		return "", fmt.Errorf("somebody else has changed the state machine meanwhile: %w", err)
	}
	return arn, err
}

// alias creates the alias or moves it.
func (w *deployment) alias(ctx context.Context, d *deployed) (string, error) {
	arn := d.StateMachineARN + ":" + w.Alias
	var now *sfn.DescribeStateMachineAliasOutput
	err := w.repeat(ctx, "DescribeStateMachineAlias", nil, func() (err error) {
		now, err = w.api.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: aws.String(arn)})
		return err
	})
	if is[*types.ResourceNotFound](err) {
		return w.createAlias(ctx, d)
	}
	if err != nil {
		return "", err
	}
	routing := w.routing(d, now.RoutingConfiguration)
	described := w.AliasDescription == nil || *w.AliasDescription == aws.ToString(now.Description)
	if described && sameRouting(routing, now.RoutingConfiguration) {
		w.t.Log().Info("The alias is as it was: " + arn)
		return arn, nil
	}
	w.t.Log().Info(fmt.Sprintf("Moving the alias %s to %s", arn, routingText(routing)))
	return arn, w.repeat(ctx, "UpdateStateMachineAlias", is[*types.ConflictException], func() error {
		_, err := w.api.UpdateStateMachineAlias(ctx, &sfn.UpdateStateMachineAliasInput{
			StateMachineAliasArn: aws.String(arn), RoutingConfiguration: routing, Description: w.AliasDescription,
		})
		return err
	})
}

func (w *deployment) createAlias(ctx context.Context, d *deployed) (arn string, err error) {
	routing := w.routing(d, nil)
	err = w.repeat(ctx, "CreateStateMachineAlias", nil, func() error {
		out, err := w.api.CreateStateMachineAlias(ctx, &sfn.CreateStateMachineAliasInput{
			Name: aws.String(w.Alias), RoutingConfiguration: routing, Description: w.AliasDescription,
		})
		if err == nil {
			arn = aws.ToString(out.StateMachineAliasArn)
		}
		return err
	})
	if is[*types.ConflictException](err) {
		return "", fmt.Errorf("somebody else creates the alias at the same time: %w", err)
	}
	if err == nil {
		w.t.Log().Info(fmt.Sprintf("Created the alias %s to %s", arn, routingText(routing)))
	}
	return arn, err
}

// routing is what the alias is to route to.
func (w *deployment) routing(d *deployed, now []types.RoutingConfigurationListItem) []types.RoutingConfigurationListItem {
	item := func(version string, weight int) types.RoutingConfigurationListItem {
		return types.RoutingConfigurationListItem{StateMachineVersionArn: aws.String(version), Weight: int32(weight)}
	}
	if len(w.AliasRouting) > 0 {
		var out []types.RoutingConfigurationListItem
		for _, version := range slices.Sorted(maps.Keys(w.AliasRouting)) {
			arn := d.StateMachineARN + ":" + version
			if version == latest {
				arn = d.VersionARN
			}
			out = append(out, item(arn, w.AliasRouting[version]))
		}
		return out
	}
	old, most := "", int32(-1)
	for _, r := range now {
		if version := aws.ToString(r.StateMachineVersionArn); version != d.VersionARN && r.Weight > most {
			old, most = version, r.Weight
		}
	}
	if old == "" || w.AliasWeight == 100 {
		return []types.RoutingConfigurationListItem{item(d.VersionARN, 100)}
	}
	return []types.RoutingConfigurationListItem{item(d.VersionARN, w.AliasWeight), item(old, 100-w.AliasWeight)}
}

func sameRouting(a, b []types.RoutingConfigurationListItem) bool {
	return routingText(a) == routingText(b)
}

// routingText is a routing in words, the same for every order.
func routingText(routing []types.RoutingConfigurationListItem) string {
	parts := make([]string, len(routing))
	for i, r := range routing {
		arn := aws.ToString(r.StateMachineVersionArn)
		parts[i] = fmt.Sprintf("version %s (%d %%)", arn[strings.LastIndexByte(arn, ':')+1:], r.Weight)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

var _ operators.Validator = (*Deploy)(nil)
