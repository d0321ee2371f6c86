// Package sealed is how addresses travel through places that mustn't read them: sealed under the topic they are announced
// by, always of one length.
//
//	topic ─▶ Derive ─▶ key     addresses ─▶ padded to ContentSize ─▶ nonce ‖ AES-256-GCM
//
// It never shows how many addresses there are, and keeps nothing.
package sealed
