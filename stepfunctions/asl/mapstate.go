package asl

import (
	"math"
	"strings"
	"unicode/utf8"

	"gust/stepfunctions/jsonvalue"
)

// The limits of a map run.
const (
	maxItems = 100_000_000
	// maxBatchBytes is the largest payload of a child execution.
	maxBatchBytes = 262_144
)

var (
	inlineFields      = &fieldSet{both: []string{"Comment", "StartAt", "States", "ProcessorConfig"}}
	configFields      = &fieldSet{both: []string{"Mode"}}
	distributedFields = &fieldSet{both: []string{"Mode", "ExecutionType"}}
	readerFields      = &fieldSet{both: []string{"Resource", "ReaderConfig"}, jsonPath: []string{"Parameters"},
		jsonata: []string{"Arguments"}}
	batcherFields = &fieldSet{both: []string{"BatchInput", "MaxItemsPerBatch", "MaxInputBytesPerBatch"},
		jsonPath: []string{"MaxItemsPerBatchPath", "MaxInputBytesPerBatchPath"}}
	writerFields = &fieldSet{both: []string{"Resource", "WriterConfig"}, jsonPath: []string{"Parameters"},
		jsonata: []string{"Arguments"}}
	writerConfigFields = &fieldSet{both: []string{"Transformation", "OutputType"}}
)

func (p *parser) mapState(s *State, o *object) {
	s.transition(o)
	m := &MapFields{Mode: Inline}
	s.Map = m
	p.selector(s, o)
	s.result(o)
	if o.language == JSONPath {
		m.ItemsPath = o.reference("ItemsPath")
	} else {
		m.Items = o.template("Items")
	}
	m.MaxConcurrency = o.integer("MaxConcurrency", 0, math.MaxInt64)
	m.ToleratedFailurePercentage = o.number("ToleratedFailurePercentage", 0, 100)
	m.ToleratedFailureCount = o.integer("ToleratedFailureCount", 0, math.MaxInt64)
	p.label(m, o)
	m.ItemReader, m.ItemBatcher, m.ResultWriter = o.itemReader(), o.itemBatcher(), o.resultWriter()
	if o.single(true, "ItemProcessor", "Iterator") {
		p.processor(s, o)
	}
	p.errorHandling(s, o)
}

// selector reads ItemSelector or its old name Parameters.
func (p *parser) selector(s *State, o *object) {
	switch {
	case o.language == JSONPath && o.has("Parameters"):
		o.single(false, "ItemSelector", "Parameters")
		s.Map.SelectorField = "Parameters"
	case o.has("ItemSelector"):
		s.Map.SelectorField = "ItemSelector"
	default:
		return
	}
	s.Parameters = o.template(s.Map.SelectorField)
}

func (p *parser) label(m *MapFields, o *object) {
	v, ok := o.v.Get("Label")
	m.Label = o.str("Label")
	switch {
	case !ok || v.Kind() != jsonvalue.String:
	case m.Label == "":
		p.errorf(CodeLabelName, o.field("Label"), "Label name cannot be empty")
	case utf8.RuneCountInString(m.Label) > maxLabel:
		p.errorf(CodeLabelName, o.field("Label"), "Label name '%s' exceeds the %d-character limit allowed by the service",
			m.Label, maxLabel)
	case strings.ContainsFunc(m.Label, forbiddenInLabel):
		p.errorf(CodeLabelName, o.field("Label"), "Invalid Label name: %s", m.Label)
	case p.labels[m.Label]:
		p.errorf(CodeDuplicateLabel, o.field("Label"), "Duplicate Label name: %s", m.Label)
	default:
		if p.labels == nil {
			p.labels = map[string]bool{}
		}
		p.labels[m.Label] = true
	}
}

// forbiddenInLabel reports the characters that no name in an ARN may have.
func forbiddenInLabel(r rune) bool {
	return r <= 0x20 || r >= 0x7F && r <= 0x9F || strings.ContainsRune("<>{}[]?*\"#%\\^|~`$&,;:/", r) || r == 0xFFFE || r == 0xFFFF
}

// processor reads ItemProcessor or its old name Iterator.
func (p *parser) processor(s *State, o *object) {
	m := s.Map
	m.ProcessorField = "ItemProcessor"
	if o.has("Iterator") {
		m.ProcessorField = "Iterator"
	}
	in, ok := o.child(m.ProcessorField)
	if !ok {
		return
	}
	in.allow(inlineFields)
	in.str("Comment")
	if config, ok := in.child("ProcessorConfig"); ok {
		m.Mode = Inline
		if config.enum("Mode", string(Inline), string(Distributed)) == string(Distributed) {
			m.Mode = Distributed
			config.allow(distributedFields)
			config.required("ExecutionType")
			m.ExecutionType = config.enum("ExecutionType", "STANDARD", "EXPRESS")
		} else {
			config.allow(configFields)
		}
	}
	m.Processor = &Scope{}
	p.scopeFields(m.Processor, in, s)
}

// request reads Parameters or Arguments.
func (o *object) request() *Template {
	if o.language == JSONata {
		return o.template("Arguments")
	}
	return o.template("Parameters")
}

func (o *object) itemReader() *ItemReader {
	in, ok := o.child("ItemReader")
	if !ok {
		return nil
	}
	in.allow(readerFields)
	in.required("Resource")
	r := &ItemReader{Resource: in.s3Resource("getObject", "listObjectsV2"), Parameters: in.request()}
	if config, ok := in.child("ReaderConfig"); ok {
		r.Config = config.readerConfig()
	}
	return r
}

// s3Resource reads a Resource that must be one of some calls of S3.
func (o *object) s3Resource(calls ...string) Resource {
	text := o.str("Resource")
	if text == "" {
		return Resource{}
	}
	for _, call := range calls {
		if strings.HasPrefix(text, "arn:") && strings.HasSuffix(text, ":states:::s3:"+call) {
			return Resource{ARN: text, Kind: Service, Service: "s3", API: call}
		}
	}
	o.p.errorf(CodeSchema, o.field("Resource"), "The field 'Resource' does not match any of the allowed values")
	return Resource{}
}

// readerConfig reads ReaderConfig. Which fields it may have depends on the InputType.
func (o *object) readerConfig() ReaderConfig {
	c := ReaderConfig{InputType: o.enum("InputType", "CSV", "JSON", "JSONL", "PARQUET", "MANIFEST")}
	set := &fieldSet{both: []string{"InputType", "MaxItems", "Transformation"}, jsonPath: []string{"MaxItemsPath"}}
	switch c.InputType {
	case "CSV":
		set.both = append(set.both, "CSVDelimiter", "CSVHeaderLocation", "CSVHeaders")
		if !o.has("CSVHeaderLocation") {
			// It decides which fields there may be: AWS does not look at them without it.
			o.p.errorf(CodeSchema, o.at(), "The field 'CSVHeaderLocation' is required")
			return c
		}
	case "JSON":
		set.both = append(set.both, "ItemsPointer")
	case "MANIFEST":
		set.both = append(set.both, "ManifestType", "CSVDelimiter", "CSVHeaderLocation", "CSVHeaders", "ItemsPointer")
	default:
		set.both = append(set.both, "ItemsPointer", "ManifestType")
	}
	o.allow(set)
	c.Transformation = o.enum("Transformation", "NONE", "LOAD_AND_FLATTEN")
	if c.Transformation == "LOAD_AND_FLATTEN" && !o.has("InputType") {
		o.p.errorf(CodeSchema, o.at(), "The field 'InputType' is required")
	}
	c.ManifestType = o.enum("ManifestType", "ATHENA_DATA", "S3_INVENTORY")
	c.CSVDelimiter = o.enum("CSVDelimiter", "COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB")
	c.CSVHeaderLocation = o.enum("CSVHeaderLocation", "FIRST_ROW", "GIVEN")
	if c.CSVHeaderLocation == "GIVEN" {
		o.required("CSVHeaders")
	}
	c.CSVHeaders = o.strings("CSVHeaders")
	c.ItemsPointer = o.str("ItemsPointer")
	if c.ItemsPointer != "" && c.ItemsPointer[0] != '/' {
		o.p.errorf(CodeSchema, o.field("ItemsPointer"), "Invalid input: JSON Pointer expression must start with '/': \"%s\"",
			c.ItemsPointer)
	}
	c.MaxItems = o.integer("MaxItems", 0, maxItems)
	return c
}

func (o *object) itemBatcher() *ItemBatcher {
	in, ok := o.child("ItemBatcher")
	if !ok {
		return nil
	}
	in.allow(batcherFields)
	b := &ItemBatcher{
		MaxItemsPerBatch:      in.integer("MaxItemsPerBatch", 1, maxItems),
		MaxInputBytesPerBatch: in.integer("MaxInputBytesPerBatch", 1, maxBatchBytes),
		BatchInput:            in.template("BatchInput"),
	}
	return b
}

func (o *object) resultWriter() *ResultWriter {
	in, ok := o.child("ResultWriter")
	if !ok {
		return nil
	}
	in.allow(writerFields)
	w := &ResultWriter{Parameters: in.request()}
	if in.has("Resource") {
		resource := in.s3Resource("putObject")
		w.Resource = &resource
		if in.language == JSONata {
			in.required("Arguments")
		} else {
			in.required("Parameters")
		}
	} else if !in.has("WriterConfig") {
		in.required("Resource")
	}
	if config, ok := in.child("WriterConfig"); ok {
		config.allow(writerConfigFields)
		w.Transformation = config.enum("Transformation", "NONE", "COMPACT", "FLATTEN")
		w.OutputType = config.enum("OutputType", "JSON", "JSONL")
	}
	return w
}
