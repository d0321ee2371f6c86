// Package bridge carries media between the page and the meeting: one WebRTC connection with the browser, on this
// machine alone.
//
//	browser ── microphone, camera, screen ──▶ Source ──▶ meet.PublishLayers    pion TrackLocals, outliving the page
//	browser ◀── slots ◀── pump ◀── meet.RemoteTrack                        a fixed pool of m-lines, mapped by message
//	browser ◀── key frames wanted, bitrate limit (REMB) ── members
//	browser ──▶ key frames wanted ──▶ RemoteTrack.RequestKeyFrame
//
// The page always offers, so there is no glare. RTP headers are built anew on both ways: of the page's only the marker,
// sequence number, timestamp and audio level go on. Packets that come twice are dropped by meet.
//
// Media is readable here and in the browser, as it must be to be shown; it is sealed before it leaves the machine, by
// meet. The package opens sockets on this machine's own addresses only and takes packets from them only; it decodes
// nothing, stores nothing, logs nothing.
package bridge
