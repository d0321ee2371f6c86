package meet

import (
	"context"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
)

// ProbeDoor opens the first door of a link and says a first message: with the link's secret, with another, or with another
// under the link's name. It tells whether anything was answered.
func ProbeDoor(ctx context.Context, network transport.Network, i Invite, secret, name bool) (answered bool, err error) {
	self, err := crypto.GenerateIdentity().NewIncarnation(i.Meeting())
	if err != nil {
		return false, err
	}
	host, err := transport.Listen(ctx, transport.Config{Key: self.PrivateKey(), RoomID: [32]byte{1}, Network: network})
	if err != nil {
		return false, err
	}
	defer func() { _ = host.Close() }()
	door, with := i.link.Doors[0], i.link.Secret
	if !secret {
		with = crypto.NewInvite().Secret
	}
	_, first, err := crypto.NewDoorInitiator(self, "x", with, i.link.DoorKey, door.Key)
	if err != nil {
		return false, err
	}
	if id := i.link.Secret.ID(); name {
		copy(first[1:], id[:])
	}
	d, err := host.OpenDoor(ctx, peerKey(door.Key), multiaddrs(door.Addresses))
	if err != nil {
		return false, err
	}
	defer d.Close()
	if err := d.Send(ctx, first); err != nil {
		return false, err
	}
	_, err = d.Receive(ctx)
	return err == nil, nil
}
