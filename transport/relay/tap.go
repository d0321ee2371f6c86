//go:build !lab

package relay

import "github.com/libp2p/go-libp2p/core/network"

// tapped is where the network laboratory, which builds the relay with the tag "lab", writes down what the relay can read.
func tapped(s network.Stream) network.Stream { return s }
