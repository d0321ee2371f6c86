// Hello is the shortest use of the library: two members in one program, connected over the loopback. One creates a
// meeting and sends an invite link, the other joins by it; both compare words, one says hello, both leave.
//
//	go run ./examples/hello
//
// It contacts nobody and writes nothing to disk.
package main
