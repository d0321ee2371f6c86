// Package localport is the port on 127.0.0.1 that the page talks to, and what keeps everybody else out of it.
//
//	connection ─▶ same user? ─▶ Host exact? ─▶ Origin, Sec-Fetch-Site ─▶ GET /          the page, public
//	              (Linux)        (rebinding)     (other pages)           ├▶ POST /session  token ─▶ session key
//	                                                                     ├▶ GET /socket    session key
//	                                                                     ├▶ PUT /upload/…   session key and ticket
//	                                                                     └▶ GET /download/… ticket, once
//
// Whom it keeps out:
//
//   - Pages of other sites in the same browser. They can send requests here, so the Origin must be ours wherever
//     something happens; they can point a name of theirs at 127.0.0.1, so the Host must be ours; they may load no script
//     or picture of ours, so that they can't tell that we run.
//   - Other users of this machine. They can connect, and see the arguments of the browser's process, in which the token
//     is. On Linux the kernel says whose a connection is (/proc/net/tcp), and others' are closed before a byte is
//     read. Elsewhere the token reaches the browser through a file that only the user may read (macOS), or the
//     arguments of other users' processes can't be seen (Windows). In any case a token works once, and for two minutes.
//
// It doesn't keep out programs of the same user: they could read the browser's memory just as well.
//
// The session key never is in a URL or cookie. Nothing is logged, nothing written. Every message, body, header, wait,
// rate and number of connections has a limit.
package localport
