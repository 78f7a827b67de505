// Package layering holds the test that keeps imports going one way. The lint rules in .golangci.yml catch a direct
// import where it is written; the test here catches the transitive ones, from the compiler's own view of the module.
package layering
