// Package store keeps what a person has remembered: one file, encrypted with age under their passphrase.
//
//	Contents ── JSON ──▶ age, scrypt of the passphrase ──▶ temporary file, synced ──▶ renamed over the old one
//
// Nothing is there until Create. Whoever has the file without the passphrase learns its size, and when it was written.
// What is deleted is in no later file; what the disk's own wear levelling, snapshots and backups keep of earlier files
// stays under the passphrase, and can't be taken back.
//
// The package keeps the passphrase in memory while the store is open, since each change is written under it. It opens no
// connection and reads no clock but that of Expire's caller.
package store
