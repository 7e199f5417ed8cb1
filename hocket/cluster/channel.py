"""A radio channel: from powers and bandwidth to a rate.

The capacity is an upper bound (Shannon 1948, Hartley 1928); real radios reach a part of it, so every function
here is for planning, and a measured rate is always better.
"""

import math

from hocket.errors import ClusterError

LIGHT_M_PER_S = 299_792_458.0
THERMAL_NOISE_W_PER_HZ = 1.380649e-23 * 290  # Boltzmann's constant at 290 K: -174 dBm/Hz


def capacity_bytes_per_s(bandwidth_hz: float, snr: float) -> float:
    """The Shannon-Hartley capacity, bandwidth * log2(1 + SNR), in bytes.

    Args:
        bandwidth_hz: width of the channel.
        snr: signal to noise (and interference) as a plain ratio, not in decibels.

    Raises:
        ClusterError: a number that is negative or not finite.

    Twenty megahertz at an SNR of 15 carry 20e6 * 4 bits in a second:

    >>> capacity_bytes_per_s(20e6, 15.0)
    10000000.0
    """
    _check(bandwidth_hz=bandwidth_hz, snr=snr)
    return bandwidth_hz * math.log1p(snr) / math.log(2) / 8


def needed_snr(bandwidth_hz: float, bytes_per_s: float) -> float:
    """The least SNR at which a channel carries a rate: the capacity turned round.

    >>> needed_snr(20e6, 10e6)
    15.0
    """
    _check(bandwidth_hz=bandwidth_hz, bytes_per_s=bytes_per_s)
    if bandwidth_hz == 0 or bytes_per_s * 8 / bandwidth_hz > 1000:
        raise ClusterError(f"no SNR carries {bytes_per_s!r} bytes/s over {bandwidth_hz!r} Hz; give more bandwidth")
    bits_per_hz = bytes_per_s * 8 / bandwidth_hz
    return math.expm1(math.log(2) * bits_per_hz) if bits_per_hz < 0.5 else math.pow(2.0, bits_per_hz) - 1


def signal_to_noise(transmit_w: float, gain: float, noise_w: float, interference_w: float = 0.0) -> float:
    """The ratio of received power to noise plus interference.

    Args:
        transmit_w: power of the sender.
        gain: received power / sent power.
        noise_w: noise over the whole bandwidth, see `noise_w`.
        interference_w: power received from others on the same channel.

    >>> signal_to_noise(transmit_w=0.5, gain=1e-6, noise_w=4e-8, interference_w=1e-8)
    10.0
    """
    _check(transmit_w=transmit_w, gain=gain, noise_w=noise_w, interference_w=interference_w)
    disturbance_w = noise_w + interference_w
    if disturbance_w == 0:
        raise ClusterError("a channel without noise or interference has no finite SNR; give the noise, see noise_w")
    return transmit_w * gain / disturbance_w


def noise_w(bandwidth_hz: float, noise_figure: float = 1.0) -> float:
    """Thermal noise of a receiver at 290 K; `noise_figure` is a plain ratio (5 dB is 3.16).

    One megahertz has -114 dBm:

    >>> round(10 * math.log10(noise_w(1e6) * 1e3))
    -114
    """
    _check(bandwidth_hz=bandwidth_hz, noise_figure=noise_figure)
    return THERMAL_NOISE_W_PER_HZ * bandwidth_hz * noise_figure


def path_gain(distance_m: float, carrier_hz: float, exponent: float = 2.0) -> float:
    """Received over sent power: free space up to 1 m, then falling with distance to the `exponent`.

    Args:
        distance_m: distance between the antennas; less than 1 m counts as 1 m.
        carrier_hz: frequency of the carrier.
        exponent: 2 in free space, 3 to 4 in buildings and towns.

    The loss over the first metre at 2.4 GHz is 40 dB, and with the square law ten metres cost 20 dB more:

    >>> round(10 * math.log10(path_gain(1, 2.4e9))), round(10 * math.log10(path_gain(10, 2.4e9)))
    (-40, -60)
    """
    _check(distance_m=distance_m, carrier_hz=carrier_hz, exponent=exponent)
    if carrier_hz == 0:
        raise ClusterError("a carrier has a frequency above 0 Hz, got 0; give it")
    first_metre = math.pow(LIGHT_M_PER_S / (4 * math.pi * carrier_hz), 2)
    return min(first_metre * math.pow(max(distance_m, 1.0), -exponent), 1.0)


def _check(**numbers: float) -> None:
    for name, number in numbers.items():
        if not (math.isfinite(number) and number >= 0):
            raise ClusterError(f"a channel has {name} = {number!r}, and it is a finite number >= 0; correct it")
