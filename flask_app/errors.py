"""Every error this package raises on purpose.

    ShillError
    ├── SettingError         a setting or a knob of the simulator has an unusable value
    ├── DataError            a dataset cannot be read, downloaded or trusted
    ├── BundleError          a model bundle is incomplete or malformed
    │   ├── ChecksumError    a file of it is not what its manifest says
    │   └── GoldenRowError   its model does not give the probabilities it was published with
    ├── StoreError           a model store refuses an operation
    │   ├── VersionNotFound  it holds no such version
    │   └── VersionExists    it holds that version already: versions are immutable
    ├── S3Error              S3 does not answer, or refuses
    ├── TrainingError        training cannot give a model worth publishing
    │   └── NotAsGood        the one in production may be better
    ├── JobError             a job cannot read what it works on or write what it found
    │   └── AlreadyRunning   another run of the job is at work
    ├── ArchiveError         the archive does not hold what was shipped, or cannot be asked
    ├── KeysError            the API's keys cannot be used, or a key cannot be made
    │   └── KeyNotFound      there is no such key
    ├── ApiError             the API answers a client with a problem
    └── ServerUnreachable    it gives a client no answer, or none of this API

A message names what is wrong, the value seen and the remedy; the command line prints it without a
traceback and exits with status 1.
"""


class ShillError(Exception):
    """Base of all errors that a user can act on."""


class SettingError(ShillError):
    """A setting or a knob of the simulator has an unusable value."""


class DataError(ShillError):
    """A dataset cannot be read, downloaded or trusted."""


class BundleError(ShillError):
    """A model bundle is incomplete or malformed."""


class ChecksumError(BundleError):
    """A file of a bundle is not what its manifest says."""


class GoldenRowError(BundleError):
    """A bundle's model does not give the probabilities it was published with."""


class StoreError(ShillError):
    """A model store refuses an operation."""


class VersionNotFound(StoreError):  # noqa: N818 - says what happened, as KeyError's kin do
    """The store holds no such version."""


class VersionExists(StoreError):  # noqa: N818
    """The store holds that version already: versions are immutable."""


class S3Error(ShillError):
    """S3 does not answer, or refuses."""


class TrainingError(ShillError):
    """Training cannot give a model worth publishing."""


class NotAsGood(TrainingError):  # noqa: N818
    """A candidate is not shown to be as good as the model in production."""


class JobError(ShillError):
    """A job cannot read what it works on or write what it found."""


class AlreadyRunning(JobError):  # noqa: N818
    """Another run of the job is at work."""


class ArchiveError(ShillError):
    """The archive does not hold what was shipped, or cannot be asked."""


class KeysError(ShillError):
    """The API's keys cannot be used, or a key cannot be made."""


class KeyNotFound(KeysError):  # noqa: N818
    """There is no such key."""


class ApiError(ShillError):
    """The API answers a client with a problem.

    Attributes:
        status: The HTTP status.
        name: Of the problem, as in docs/api.md.
        pointers: JSON pointers to what is wrong with the body.
    """

    def __init__(self, message: str, status: int, name: str, pointers: tuple[str, ...]) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.pointers = pointers


class ServerUnreachable(ShillError):  # noqa: N818
    """The API gives a client no answer, or none of this API."""
