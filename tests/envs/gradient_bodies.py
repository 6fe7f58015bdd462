"""Small bodies that between them have every kind of constraint row, for the gradient tests."""

_BIPED = """
<mujoco>
  <compiler angle="degree"/>
  <option timestep=".004" integrator="Euler"/>
  <default>
    <joint type="hinge" axis="0 -1 0" damping=".5" armature=".01" limited="true"/>
    <geom type="capsule" size=".05" contype="0" conaffinity="0"/>
    <motor ctrllimited="true" ctrlrange="-1 1" gear="60"/>
  </default>
  <worldbody>
    <geom type="plane" size="0 0 1" contype="1" conaffinity="1" friction=".8"/>
    <body pos="0 0 1.05">
      <joint type="slide" axis="1 0 0" limited="false" armature="0" damping="0"/>
      <joint type="slide" axis="0 0 1" limited="false" armature="0" damping="0"/>
      <joint axis="0 1 0" limited="false" armature="0" damping="0"/>
      <geom fromto="0 0 0 0 0 .5" size=".07"/>
      {legs}
    </body>
  </worldbody>
  <actuator>{motors}</actuator>
</mujoco>"""
_LEG = """
<body pos="0 {y} 0">
  <joint name="{n}hip" range="-20 100"/> <geom fromto="0 0 0 0 0 -.45"/>
  <body pos="0 0 -.45">
    <joint name="{n}knee" range="-150 0"/> <geom fromto="0 0 0 0 0 -.5" size=".04"/>
    <body pos="0 0 -.5">
      <joint name="{n}ankle" range="-45 45"/>
      <geom fromto="-.06 0 -.03 .16 0 -.03" size=".04" contype="1"/>
    </body>
  </body>
</body>"""


def biped() -> str:
    """A trunk on two legs in the plane, with feet."""
    sides = {"left_": 0.1, "right_": -0.1}
    motors = [f'<motor joint="{n}{j}"/>' for n in sides for j in ("hip", "knee", "ankle")]
    legs = [_LEG.format(n=n, y=y) for n, y in sides.items()]
    return _BIPED.format(legs="".join(legs), motors="".join(motors))


FINGER = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep=".002"/>
  <default>
    <geom contype="0" conaffinity="0"/>
    <general biastype="muscle" gaintype="muscle" dyntype="muscle" ctrllimited="true"
             ctrlrange="0 1" dynprm=".01 .04" gainprm=".75 1.05 30 200 .5 1.6 1.5 1.3 1.2"
             biasprm=".75 1.05 30 200 .5 1.6 1.5 1.3 1.2"/>
  </default>
  <worldbody>
    <geom type="plane" size="0 0 1" pos="0 0 -.03" contype="1" conaffinity="1"/>
    <site name="top" pos="-.05 0 .02"/> <site name="bottom" pos="-.05 0 -.02"/>
    <body>
      <joint name="mcp" axis="0 1 0" range="-1.2 1.2" limited="true" damping=".02" armature=".001"/>
      <joint name="abd" axis="0 0 1" range="-.3 .3" limited="true" damping=".02" armature=".001"/>
      <geom type="capsule" fromto="0 0 0 .06 0 0" size=".01"/>
      <geom name="knuckle" type="cylinder" size=".012" fromto="0 -.02 0 0 .02 0"/>
      <site name="above" pos="0 0 .03"/>
      <site name="back" pos=".03 .004 .012"/> <site name="front" pos=".03 -.004 -.012"/>
      <body pos=".06 0 0">
        <joint name="pip" axis="0 1 0" range="-.1 1.6" limited="true" damping=".02"
               armature=".001"/>
        <geom type="capsule" fromto="0 0 0 .04 0 0" size=".009" contype="1"/>
        <geom name="joint" type="sphere" size=".01"/>
        <site name="tip_back" pos=".02 0 .01"/> <site name="tip_front" pos=".02 0 -.01"/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <spatial name="extensor">
      <site site="top"/> <geom geom="knuckle" sidesite="above"/> <site site="back"/>
      <geom geom="joint"/> <site site="tip_back"/>
    </spatial>
    <spatial name="flexor">
      <site site="bottom"/> <geom geom="knuckle"/> <site site="front"/>
      <geom geom="joint"/> <site site="tip_front"/>
    </spatial>
    <spatial name="forked">
      <site site="bottom"/> <site site="front"/>
      <pulley divisor="2"/> <site site="front"/> <site site="tip_front"/>
      <pulley divisor="2"/> <site site="front"/> <site site="tip_back"/>
    </spatial>
  </tendon>
  <actuator>
    <general tendon="extensor" lengthrange=".08 .16"/>
    <general tendon="flexor" lengthrange=".08 .16"/>
    <general tendon="forked" lengthrange=".08 .16"/>
  </actuator>
</mujoco>"""

LINKAGE = """
<mujoco>
  <option timestep=".002" integrator="{integrator}"/>
  <default>
    <geom type="capsule" size=".02" contype="0" conaffinity="0"/>
    <joint type="hinge" axis="0 1 0" damping=".05" armature=".01"/>
    <motor ctrllimited="true" ctrlrange="-1 1" gear="2"/>
  </default>
  <worldbody>
    <body>
      <joint name="crank"/> <geom fromto="0 0 0 0 0 .3"/>
      <body pos="0 0 .3">
        <joint name="coupler"/> <geom fromto="0 0 0 .5 0 0"/>
        <body name="rocker" pos=".5 0 0">
            <joint name="rocker"/> <geom fromto="0 0 0 0 0 -.3"/>
          </body>
      </body>
    </body>
    <body name="leader" pos="0 1 0">
      <joint name="leader"/> <geom fromto="0 0 0 .3 0 0"/>
      <body name="hand" pos=".3 0 0">
        <joint name="wrist" axis="1 0 0"/> <geom fromto="0 0 0 .2 0 .1"/>
      </body>
    </body>
    <body name="tool" pos=".4 1 0"><freejoint/> <geom fromto="0 0 0 .1 0 .1"/></body>
    <body pos="0 2 0"><joint name="follower"/> <geom fromto="0 0 0 .3 0 0"/></body>
    <body pos="0 3 0"><joint name="pulled"/> <geom fromto="0 0 0 .3 0 0"/></body>
  </worldbody>
  <tendon>
    <fixed name="a"><joint joint="pulled" coef="1"/></fixed>
    <fixed name="b"><joint joint="follower" coef=".7"/> <joint joint="leader" coef=".1"/></fixed>
  </tendon>
  <equality>
    <connect body1="rocker" body2="world" anchor="0 0 -.3"/>
    <weld body1="hand" body2="tool" solref=".04 1"/>
    <joint joint1="follower" joint2="leader" polycoef="0 .8 .3 0 0"/>
    <tendon tendon1="a" tendon2="b" polycoef="0 1 .2 0 0"/>
  </equality>
  <actuator>
    <motor joint="crank"/> <motor joint="leader"/> <motor joint="wrist"/> <motor joint="pulled"/>
  </actuator>
</mujoco>"""

RUBBING = """
<mujoco>
  <option timestep=".002" integrator="implicitfast"/>
  <default>
    <geom type="capsule" size=".02" contype="0" conaffinity="0"/>
    <joint damping=".02" armature=".01"/>
    <motor ctrllimited="true" ctrlrange="-1 1" gear="2"/>
  </default>
  <worldbody>
    <site name="wall" pos="0 .1 .4"/>
    <body>
      <joint name="shoulder" axis="0 1 0" frictionloss="3"/>
      <geom fromto="0 0 0 .3 0 0"/>
      <body pos=".3 0 0">
        <joint name="elbow" axis="0 1 0" frictionloss=".8"/>
        <geom fromto="0 0 0 .25 0 0"/>
        <body pos=".25 0 0">
          <joint name="wrist" type="ball" range="0 25" limited="true"/>
          <geom fromto="0 0 0 .1 .03 0"/>
          <site name="tip" pos=".1 0 0"/>
        </body>
      </body>
    </body>
    <body pos="0 1 0">
      <joint name="slide" type="slide" axis="1 0 0" range="-.05 .05" limited="true"
             frictionloss="4"/>
      <geom fromto="0 0 0 0 0 .2"/>
    </body>
  </worldbody>
  <tendon>
    <fixed name="belt" frictionloss=".3" limited="true" range="-.15 .15">
      <joint joint="elbow" coef=".5"/> <joint joint="slide" coef="4"/>
    </fixed>
    <spatial name="leash" limited="true" range="0 .75" frictionloss=".2">
      <site site="wall"/> <site site="tip"/>
    </spatial>
  </tendon>
  <actuator>
    <motor joint="shoulder"/> <motor joint="elbow"/> <motor joint="slide"/>
    <motor joint="wrist" gear="1 0 0"/>
  </actuator>
</mujoco>"""
