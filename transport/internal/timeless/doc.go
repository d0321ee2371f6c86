// Package timeless makes the certificates that QUIC's handshake shows valid whatever anybody's clock says (SPEC §10.9,
// CLK-1). It never decides who a peer is: that is the meeting key in the certificate, which libp2p checks.
//
//	libp2p's own: valid from an hour before it was made ──▶ who is more than an hour behind refuses it
//	ours:         valid from 1970 to 9999                ──▶ nobody does
package timeless
