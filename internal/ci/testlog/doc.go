// Testlog reads the output of "go test -json" and prints what a reader of a log
// needs: the closing line of each package, and everything that a failing test or
// a failing build said. It fails if a test failed, if a test was skipped, or if no
// package was tested at all, so that a green run means that the tests ran.
//
//	go test -json ./... | testlog
//
// A package without test files is not a skipped test. Testlog runs nothing and
// reads nothing but its standard input.
package main
