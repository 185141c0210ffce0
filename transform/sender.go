package transform

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
)

// What the keys are derived for. The number is the version of the format.
const (
	checkInfo  = "tinyproto seal 1 key check"
	senderInfo = "tinyproto seal 1 sender key"
)

// sender is one of those who seal messages with the shared key.
type sender struct {
	id   [idSize]byte
	aead cipher.AEAD // nil if there is no such sender
	last uint64      // the counter of its last message
}

// newSender returns the sender with this ID, without a message so far.
func newSender(key *[32]byte, id [idSize]byte) (sender, error) {
	derived, err := hkdf.Key(sha256.New, key[:], id[:], senderInfo, 32)
	if err != nil {
		return sender{}, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return sender{}, err
	}
	aead, err := cipher.NewGCM(block)
	return sender{id: id, aead: aead}, err
}

// keyCheck returns what tells one shared key from another.
func keyCheck(key *[32]byte) (check [checkSize]byte, err error) {
	derived, err := hkdf.Key(sha256.New, key[:], nil, checkInfo, checkSize)
	copy(check[:], derived)
	return check, err
}
