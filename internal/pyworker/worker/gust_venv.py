"""Makes virtual environments for PythonVirtualenvOperator. It runs as a call, in the interpreter that they are made of."""

import os

from airflow.exceptions import AirflowException


def make(folder, requirements, system_site_packages, options):
    """Makes the environment if it is not there yet. Several processes may ask for it at once."""
    import fcntl
    import shutil
    import subprocess
    import venv

    complete = os.path.join(folder, "complete")
    if os.path.exists(complete):
        return
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(complete):
            return
        shutil.rmtree(folder, ignore_errors=True)  # of an attempt that did not come to its end
        print("making the virtual environment %s" % folder)
        venv.EnvBuilder(system_site_packages=system_site_packages, with_pip=bool(requirements), symlinks=True).create(folder)
        if requirements:
            wanted = os.path.join(folder, "requirements.txt")
            with open(wanted, "w") as f:
                f.write(requirements)
            pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
            ended = subprocess.run(pip + list(options) + ["-r", wanted], stdin=subprocess.DEVNULL)
            if ended.returncode:
                raise AirflowException("pip install ended with exit code %d; the log says why" % ended.returncode)
        open(complete, "w").close()
