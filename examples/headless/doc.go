// Headless is a participant without a screen: for bots, servers and tests, and to see what the library does.
//
//	headless demo                    three members in one run, on bundled media
//	headless create [flags]          prints an invite link and stays
//	headless join [flags] INVITE
//
//	--play FILE ──▶ file's own timing ──▶ Publish ──┐              ┌──▶ events on stdout, plain or JSON
//	                                                ├── meeting ◀──┤
//	stdin ──▶ commands: admit, remove, say, … ──────┘              └──▶ tracks ──▶ --record DIR
//
// It contacts nobody but members, and writes nothing to disk but the identity, the recordings and the files it was told to. It
// never decodes or encodes media. README.md beside this file lists flags, commands, events and exit statuses.
package main
