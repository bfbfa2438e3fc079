"""A server's client for Python, blocking and asynchronous: the same methods, the same errors.

::

    from torchinf_serve.client import Client

    with Client("http://127.0.0.1:8000", token_file="~/.config/torchinf/serve.token") as client:
        client.download("torchvision:resnet18").wait()
        print(client.predict("resnet18", Path("cat.jpg"), top=3))
"""

from torchinf_serve.client.asynchronous import AsyncClient, AsyncJob
from torchinf_serve.client.blocking import Client, Job
from torchinf_serve.client.jobs import JobEvent

__all__ = ["AsyncClient", "AsyncJob", "Client", "Job", "JobEvent"]
