package mapitems

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// maxManifestBytes bounds the manifest of an inventory; it holds one short entry for each data file.
const maxManifestBytes = 64 << 20

// manifest are the items of all data files that a manifest lists.
func (s *Store) manifest(bucket, key string, src Source) sequence {
	if src.ManifestType == "ATHENA_DATA" {
		return s.athena(bucket, key, src)
	}
	return s.inventory(bucket, key)
}

// athena are the items inside the objects whose URIs are the lines of a manifest, as Athena's UNLOAD writes it.
func (s *Store) athena(bucket, key string, src Source) sequence {
	return func(yield func(Item, error) bool) {
		f, err := s.object(bucket, key)
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer f.Close()
		r, done, err := uncompressed(f, uri(bucket, key))
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer done()
		data := src
		data.ManifestType = ""
		list := &records{r: r, delimiter: ',', source: uri(bucket, key)}
		for {
			record, err := list.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Item{}, err)
				return
			}
			dataBucket, dataKey, ok := parseURI(strings.TrimSpace(record[0]))
			if !ok {
				yield(Item{}, readerFailed("%s, line %d: expected the URI of an object, s3://bucket/key, got: %s",
					uri(bucket, key), list.line, record[0]))
				return
			}
			for item, err := range s.content(dataBucket, dataKey, data) {
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}

func parseURI(text string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return "", "", false
	}
	bucket, key, ok = strings.Cut(rest, "/")
	return bucket, key, ok && bucket != "" && key != ""
}

// inventoryManifest is the part of an S3 inventory's manifest.json that reading needs.
type inventoryManifest struct {
	DestinationBucket string `json:"destinationBucket"`
	FileFormat        string `json:"fileFormat"`
	FileSchema        string `json:"fileSchema"`
	Files             []struct {
		Key string `json:"key"`
	} `json:"files"`
}

// inventory are the rows of an S3 inventory.
func (s *Store) inventory(bucket, key string) sequence {
	m, err := s.readInventory(bucket, key)
	if err != nil {
		return failing(err)
	}
	data := Source{InputType: "CSV", CSVHeaderLocation: "GIVEN"}
	for _, name := range strings.Split(m.FileSchema, ",") {
		data.CSVHeaders = append(data.CSVHeaders, strings.TrimSpace(name))
	}
	from := bucket
	if _, name, ok := strings.Cut(m.DestinationBucket, ":s3:::"); ok {
		from = name
	}
	return func(yield func(Item, error) bool) {
		for _, file := range m.Files {
			for item, err := range s.content(from, file.Key, data) {
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}

func (s *Store) readInventory(bucket, key string) (*inventoryManifest, error) {
	f, err := s.object(bucket, key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifestBytes))
	if err != nil {
		return nil, unreadable(uri(bucket, key), err)
	}
	m := &inventoryManifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, readerFailed("%s is not the manifest of an S3 inventory: %v", uri(bucket, key), err)
	}
	if m.FileFormat != "CSV" || m.FileSchema == "" {
		return nil, readerFailed("%s: the manifest of an S3 inventory must have the fileFormat CSV and a fileSchema, got %q and %q.",
			uri(bucket, key), m.FileFormat, m.FileSchema)
	}
	return m, nil
}
