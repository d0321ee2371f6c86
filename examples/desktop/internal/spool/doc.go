// Package spool keeps what is too large for memory on the disk for a while: files that are offered or came, and a
// recording. What lies there is of no use to anybody else, or later.
//
//	WriteAt ──▶ one chunk, in memory ──AES-256-GCM──▶ a file without a name ──▶ ReadAt
//	                     the key is in memory only: it ends with the file or the program
//
// Each chunk is sealed with its number and how often it was written, so chunks can't be exchanged or put back. Nothing
// readable is ever written. It limits nothing: whoever fills a file knows how large it may be.
package spool
