package mapitems

// SetMaxFileBytes makes result files small enough to see them split.
func (r *ResultWriter) SetMaxFileBytes(n int64) { r.max = n }
