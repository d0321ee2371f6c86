// Package fakesocket is a datagram socket in memory whose other end is a function. It is for tests and the simulated
// network alone, and never touches the operating system.
package fakesocket
