"""python -m infra.local up | down | env | logs

SORTBOX_LOCAL names the folder that holds the cloud, `.local` where it is not set.
"""

import os
import sys

from infra.bundle import BundleError
from infra.local.cloud import Cloud, CloudError, down, up
from infra.local.place import Place


def main(arguments: list[str]) -> int:
    place = Place.named(os.environ)
    try:
        match arguments:
            case ["up"]:
                print(_how_to_use(up(place, _say)))
            case ["down"]:
                down(place, _say)
            case ["env"]:
                print(_environment(place), end="")
            case ["logs"]:
                for log in sorted(place.logs.rglob("*.log")):
                    print(log)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (CloudError, BundleError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


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
