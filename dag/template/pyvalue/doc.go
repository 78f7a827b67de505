// Package pyvalue has Python's values as templates see them, and what Python's operators, built-in functions and
// methods do to them: dicts in order of insertion, str() and repr(), arithmetic, comparison, slices, % formatting,
// str.format, the methods of str, list, tuple, dict, int and float, and JSON.
//
// A value is nil, a bool, int, float64 or string, a *List, Tuple, *NamedTuple, *Dict, Range, *Func, *Module, an
// *Undefined or another Object. Import makes values of Go data, Export gives Go data back.
//
// Operations that take time or memory are methods of a State. It bounds the work, the size of texts and lists and the
// depth of nesting of one evaluation, so that no expression can harm the process.
package pyvalue
