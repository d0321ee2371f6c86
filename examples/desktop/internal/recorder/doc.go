// Package recorder makes one WebM file of a meeting: everybody who is heard, mixed into one sound track, and one picture.
//
//	voices ──▶ order ──▶ Opus decoder ──▶ ┐
//	                                      mix ──▶ Opus encoder ──▶ ┐
//	screen, cameras ──▶ order ──▶ frames ──▶ choice ──────────────▶ WebM: clusters, cues ──▶ io.WriterAt
//	                                          └─ switches at key frames
//
// Why so: a file that is to play in any player must have one sound track, since players play only the first of several;
// that needs decoding. Pictures can't be put beside each other without decoding and encoding video, which would cost
// more than the meeting itself; so the picture is that of a shared screen, else of whoever speaks, passed on as it came.
// It changes size where it changes person, which VP8 and VP9 allow and players follow. Only one codec can be in the
// track: the first that comes, of VP8 and VP9; who sends another is heard and not seen. When nobody sends a picture it
// is black.
//
// While it doesn't run, nothing that comes gets into the file, and the file has no gap: it goes on where it stopped.
//
// The file can be read once Close has returned; before, it has no head. The package writes to what it is given alone,
// and asks senders for key frames.
package recorder
