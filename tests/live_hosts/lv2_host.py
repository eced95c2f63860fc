"""A small LV2 host in ctypes, for what command-line hosts do not reach: block sizes, state, status."""

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_size_t,
    c_uint32,
    c_void_p,
    cast,
)

import numpy as np


class Feature(Structure):
    _fields_ = [("uri", c_char_p), ("data", c_void_p)]


class Descriptor(Structure):
    _fields_ = [
        ("uri", c_char_p),
        ("instantiate", CFUNCTYPE(c_void_p, c_void_p, c_double, c_char_p, POINTER(POINTER(Feature)))),
        ("connect_port", CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)),
        ("activate", CFUNCTYPE(None, c_void_p)),
        ("run", CFUNCTYPE(None, c_void_p, c_uint32)),
        ("deactivate", CFUNCTYPE(None, c_void_p)),
        ("cleanup", CFUNCTYPE(None, c_void_p)),
        ("extension_data", CFUNCTYPE(c_void_p, c_char_p)),
    ]


MAP = CFUNCTYPE(c_uint32, c_void_p, c_char_p)
STORE = CFUNCTYPE(c_int, c_void_p, c_uint32, c_void_p, c_size_t, c_uint32, c_uint32)
RETRIEVE = CFUNCTYPE(c_void_p, c_void_p, c_uint32, POINTER(c_size_t), POINTER(c_uint32), POINTER(c_uint32))


class Map(Structure):
    _fields_ = [("handle", c_void_p), ("map", MAP)]


class State(Structure):
    _fields_ = [
        ("save", CFUNCTYPE(c_int, c_void_p, STORE, c_void_p, c_uint32, c_void_p)),
        ("restore", CFUNCTYPE(c_int, c_void_p, RETRIEVE, c_void_p, c_uint32, c_void_p)),
    ]


class Lv2Plugin:
    """The mono or stereo plugin of a shared object."""

    def __init__(self, path, rate=44100, channels=2):
        self._library = ctypes.CDLL(str(path))
        self._library.lv2_descriptor.restype = POINTER(Descriptor)
        self._descriptor = self._library.lv2_descriptor(channels - 1).contents
        self._uris = []
        self._map = Map(None, MAP(self._number))
        feature = Feature(b"http://lv2plug.in/ns/ext/urid#map", cast(ctypes.pointer(self._map), c_void_p))
        self._features = (POINTER(Feature) * 2)(ctypes.pointer(feature), None)
        self._at = self._descriptor.instantiate(ctypes.addressof(self._descriptor), rate, b"", self._features)
        assert self._at
        self._channels, self._controls = channels, {}
        for number, value in enumerate((1.0, 30.0, 1.5, 0.0, 0.0)):
            self.set(number, value)
        self._descriptor.activate(self._at)

    def close(self):
        self._descriptor.deactivate(self._at)
        self._descriptor.cleanup(self._at)

    @property
    def uri(self):
        return self._descriptor.uri.decode()

    def _number(self, _, uri):
        if uri not in self._uris:
            self._uris.append(uri)
        return self._uris.index(uri) + 1

    def set(self, number, value):
        """Set the control port of that number behind the audio ports."""
        if number not in self._controls:
            self._controls[number] = c_float()
            place = ctypes.addressof(self._controls[number])
            self._descriptor.connect_port(self._at, 2 * self._channels + number, place)
        self._controls[number].value = value

    def get(self, number):
        return self._controls[number].value

    def process(self, samples):
        output = np.empty_like(samples)
        for port, row in enumerate([*samples, *output]):
            self._descriptor.connect_port(self._at, port, row.ctypes.data)
        self._descriptor.run(self._at, samples.shape[1])
        return output

    @property
    def _state(self):
        return cast(
            self._descriptor.extension_data(b"http://lv2plug.in/ns/ext/state#interface"), POINTER(State)
        ).contents

    def save(self):
        kept = {}

        def store(_, key, value, size, kind, flags):
            kept[key] = (ctypes.string_at(value, size), kind)
            assert flags == 3
            return 0

        assert self._state.save(self._at, STORE(store), None, 0, None) == 0
        ((state, _),) = kept.values()
        return state

    def restore(self, state):
        """Give a state; return whether the plugin took it."""
        room = ctypes.create_string_buffer(state, len(state))

        def retrieve(_, key, size, kind, flags):
            size[0], kind[0], flags[0] = (
                len(state),
                self._number(None, b"http://lv2plug.in/ns/ext/atom#Chunk"),
                3,
            )
            return ctypes.addressof(room)

        return self._state.restore(self._at, RETRIEVE(retrieve), None, 0, None) == 0
