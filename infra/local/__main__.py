"""python -m infra.local up | down | demo | env | image | logs

SORTBOX_LOCAL names the folder that holds the cloud, `.local` where it is not set.
"""

import os
import sys

from rich.console import Console

from infra.bundle import BundleError
from infra.local import container_image
from infra.local.cloud import Cloud, CloudError, down, up
from infra.local.demo import demo
from infra.local.place import Place


def main(arguments: list[str]) -> int:
    verbs = {"up": _up, "down": _down, "demo": _demo, "env": _env, "image": _image, "logs": _logs}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return verbs[arguments[0]](Place.named(os.environ)) or 0
    except (CloudError, BundleError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _up(place: Place) -> None:
    print(_how_to_use(up(place, _say)))


def _down(place: Place) -> None:
    down(place, _say)


def _demo(place: Place) -> int:
    cloud = up(place, _say)
    return demo(cloud.client("s3"), cloud.bucket, Console())


def _env(place: Place) -> None:
    print(_environment(place), end="")


def _image(place: Place) -> None:
    print(container_image.uri())


def _logs(place: Place) -> None:
    """The cloud's, which hold the functions' as well, then the containers'."""
    for folder in (place.logs, place.state / "sagemaker" / "logs"):
        for log in sorted(folder.glob("*.log")):
            print(log)


def _environment(place: Place) -> str:
    try:
        return place.environment_file.read_text()
    except FileNotFoundError:
        raise CloudError("There is no local cloud yet: run `make up`.") from None


def _how_to_use(cloud: Cloud) -> str:
    return f"""The local cloud is up.
  AWS        {cloud.ports.aws_url}
  SageMaker  {cloud.ports.sagemaker_url}
  bucket     {cloud.bucket}
  logs       {cloud.place.logs}
In a shell:  source {cloud.place.environment_file}
             aws s3 cp cat.jpg s3://{cloud.bucket}/inbox/
             aws s3 cp s3://{cloud.bucket}/outbox/cat.jpg.json -"""


def _say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
