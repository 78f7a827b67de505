package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Activity is a registered activity.
type Activity struct {
	// ARN, Name and Region identify it.
	ARN, Name, Region string
	// Created is when it was created.
	Created time.Time
	// Tags is a JSON array of {key,value}; Encryption is a JSON object.
	Tags, Encryption string
}

const selectActivity = `SELECT arn, name, region, created, tags, encryption FROM activities `

func scanActivity(row scanner) (*Activity, error) {
	var a Activity
	var created int64
	err := row.Scan(&a.ARN, &a.Name, &a.Region, &created, &a.Tags, &a.Encryption)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	a.Created = fromMillis(created)
	return &a, err
}

// ActivityCreate stores a new activity. created is false when the ARN is taken. limit bounds the activities of a region;
// [ErrTooMany] is returned when it is reached.
func (j *Journal) ActivityCreate(a *Activity, limit int) (created bool, err error) {
	err = j.write(func(t *tx) error {
		created = false
		var taken, n int
		row := t.t.QueryRowContext(t.ctx, `SELECT (SELECT COUNT(*) FROM activities WHERE arn = ?),
			(SELECT COUNT(*) FROM activities WHERE region = ?)`, a.ARN, a.Region)
		if err := row.Scan(&taken, &n); err != nil || taken > 0 {
			return err
		}
		if n >= limit {
			return ErrTooMany
		}
		created = true
		_, err := t.exec(`INSERT INTO activities (arn, name, region, created, tags, encryption) VALUES (?,?,?,?,?,?)`, a.ARN, a.Name,
			a.Region, millis(a.Created), a.Tags, a.Encryption)
		return err
	})
	return created && err == nil, err
}

// ActivityGet returns an activity by its ARN, or ErrNotFound.
func (j *Journal) ActivityGet(ctx context.Context, arn string) (*Activity, error) {
	return scanActivity(j.reader.QueryRowContext(ctx, selectActivity+"WHERE arn = ?", arn))
}

// ActivityList returns up to limit activities of a region in the order of their names, after the given name.
func (j *Journal) ActivityList(ctx context.Context, region, after string, limit int) ([]*Activity, error) {
	return collect(ctx, j, scanActivity, selectActivity+"WHERE region = ? AND name > ? ORDER BY name LIMIT ?", region, after,
		limit)
}

// ActivityARNs calls visit with the ARN of every activity.
func (j *Journal) ActivityARNs(ctx context.Context, visit func(arn string)) error {
	_, err := collect(ctx, j, func(row scanner) (*string, error) {
		var arn string
		err := row.Scan(&arn)
		visit(arn)
		return nil, err
	}, "SELECT arn FROM activities")
	return err
}

// ActivityTagsSet replaces the tags.
func (j *Journal) ActivityTagsSet(arn, tags string) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("UPDATE activities SET tags = ? WHERE arn = ?", tags, arn)
		return err
	})
}

// ActivityDelete removes an activity. Its tasks stay on offer until they time out.
func (j *Journal) ActivityDelete(arn string) error {
	return j.write(func(t *tx) error {
		_, err := t.exec("DELETE FROM activities WHERE arn = ?", arn)
		return err
	})
}

// Offers calls visit with every activity task that waits for a worker, the oldest first.
func (j *Journal) Offers(ctx context.Context, visit func(Offer)) error {
	_, err := collect(ctx, j, func(row scanner) (*Offer, error) {
		var o Offer
		err := row.Scan(&o.Activity, &o.Execution, &o.Task)
		visit(o)
		return nil, err
	}, "SELECT activity, execution, task FROM offers ORDER BY id")
	return err
}
